"""`chatstream stats`: a summary of past runs.

request    reads the history, and prints what is found
since      how far back
reckoning  the figures of runs, together and by group
report     these figures as a screen, and as a plain table
"""
