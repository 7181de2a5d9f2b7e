"""`chatstream doctor`: why something does not work, and what to do about it.

request          which of the next two is asked for; `findings` shows what they find
checkup          whether this installation is ready to ask a model
terminal_checks  what the terminal can do
examine          a server is asked the same question twice over one connection
diagnosis        what its headers and arrival times say; `proxies` describes what is in between
"""
