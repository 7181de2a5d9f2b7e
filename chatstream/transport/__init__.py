"""The only outbound socket: one HTTP exchange as a generator of what happens.

requests and urllib3 are used here and nowhere else, and their errors become ours here.
"""

from chatstream.transport.exchange import Call, Head, Tick, Transport

__all__ = ["Call", "Head", "Tick", "Transport"]
