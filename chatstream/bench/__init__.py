"""`chatstream bench`: what a stream's timing was, how sure that is, and whether it got worse.

    plan          which run comes next, and when to stop
    run           one run after another, or many at once, over the sources that it is given
                  (`source` says what they are)
    measure       the events and the trace of one run become a `Sample`
    stats         intervals, tests and their limits; pure arithmetic
    metrics       the table of the metrics, and their summaries
    gates         conditions under which a benchmark fails
    verdict       comparisons with a baseline and between arms, the client's own part, exit status
    conclusion    the result in one plain sentence
    report        the screen of 80 columns (`side_by_side` is its part for several arms);
                  `figures` words one figure, `layout` makes lines and tables, `plots` draws the
                  histogram and the ECDF
    export        CSV, JSON and HTML; one writer per format (`page` is the HTML, `charts` its plots)
    definitions   what each figure means, for `--explain`
    steal         the CPU time that a hypervisor took away
    saved         results kept under a name
    truth         a server that knows when it sent what; `selftest` measures this installation by it
    request       what the command line asks for, checked before anything is measured
    session       a benchmark from end to end: what is shown and kept after each run

All of it is about `result.Result`, the values that are exported.
"""
