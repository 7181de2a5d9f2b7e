"""What outlives the process: the journals of runs, and the history over them."""
