"""Completion in a shell: what may come next, and the script by which the shell asks for it.

values    what each option and argument takes: settings, servers, runs, files
shells    the script of each shell, and where it is installed

Which of them a command line has come to is found in `cli/completing.py`.
"""
