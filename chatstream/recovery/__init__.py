"""What is done about failures: sources of events that ask again, `Open` to `Open`."""
