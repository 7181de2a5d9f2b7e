"""Everything between the program and a person: input, display, and the way back to the shell.

present      where a run is shown: the choice of a sink, and the run driven into it
interrupt    Ctrl+C and the other signals
keyboard     the terminal that the user types on; `shortcuts` are the keys while an answer runs
background   whether the terminal is dark or light
prompt       the question, put together from the command line, standard input and files
history      past runs, listed and shown; `runs` has the words for them, `table` the columns
copying      what was answered, copied or saved (`images`, `saving`)
models       the models of a server: the list, the details of one, a download
keys         API keys, asked for and stored
editing      a file in the user's editor
notify       calling the user back
stdout       texts that are not answers; `progress` draws a bar
exits        the exit status, and the last words of a process
logs         what `--log` and `--debug` show
"""
