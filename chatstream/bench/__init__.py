"""`chatstream bench`: what a stream's timing was, how sure that is, and whether it got worse.

    plan       which run comes next, and when it is enough
    run        one run after another, or many at once, over the sources that are handed in
               (`source` says what they are)
    measure    the events and the trace of one run become a `Sample`
    stats      intervals, tests and their limits; pure arithmetic
    metrics    the table of what is told of samples
    gates      conditions under which it fails
    verdict    the comparison with a baseline, the client's own part, the exit status
    report     the screen of 80 columns; `figures` tells one figure, `layout` makes lines and
               tables, `plots` draws the histogram and the ECDF
    export     CSV, JSON and HTML; one writer a format (`page` is the HTML)
    steal      what a hypervisor took away meanwhile
    saved      results kept under a name
    truth      a server that knows when it sent what; `selftest` measures ourselves with it
    doctor     why a stream does not stream; `proxies` describes those in between

All of it is about `result.Result`, the values that are exported.
"""
