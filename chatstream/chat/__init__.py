"""`chatstream chat`: conversations in a terminal, over the engine. See `loop`."""
