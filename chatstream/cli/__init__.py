"""The edge: commands, configuration, signals. The only room that knows the others."""
