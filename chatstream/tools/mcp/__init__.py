"""MCP: the tools of other programs, over their standard streams or over HTTP.

messages   what is said, in both eras of the protocol
channel    a connection to a server:
stdio      a process of ours
http       an address
server     one server: what it offers, and calls of that
content    the result of a call, as text
names      of servers, and of their tools
approved   which descriptions somebody has approved
tool       the tools, and all servers of a run
"""
