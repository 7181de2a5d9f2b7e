"""Tools: what a model may call, how a call is run, and the loop until the model is done.

    definitions -> the model -> calls -> checked -> approved -> run -> results -> the model -> …

    tool       `Tool` and `Context`: what a tool is, and what it can say while it runs
    schema     a function's signature and docstring to a `Tool`
    docs       what a docstring says about a function and its parameters
    functions  `@tool`, and a Python function as a `Tool`
    registry   `Toolset`: the tools of one run, by their names, and where they come from
    toolsfile  the functions of a Python file as tools, which run in a process of their own:
    process    the side that starts it
    protocol   what the two say to each other
    worker     what runs in it; `capturing` and `speaking` are how its calls are heard
    handed     tools whose calls the caller's own orchestrator runs
    executables  executables as tools: `--tool-exec`
    programs   runs a program as the work of a call: its output, its end
    spawning   the side that asks for a program to be started:
    keeper     the process that lets no program outlive us, with a child for each program:
    minder     the one that starts it, and ends it with all that it has started
    descendants  finds what a program has started
    environment  which of our variables programs get, none of which is a key
    sandbox    what programs may see and change; `landlock` asks the kernel for it
    approval   `Policy`: which calls run, which are refused, which need an answer
    calls      `Pending`: a call that needs a result, and what is known of it
    deciding   `Deciding`: by a rule, or by somebody who is asked
    runner     `Runner`: the calls of one response, run; yields their events
    running    those that run at the same time, and what stops them
    execution  one call while it runs: its thread, its progress, its end
    pipe       what it prints, on its way out of that thread
    output     what of that is shown, and given to the model; the file that has the rest
    loop       an `Open` around the model: answer, calls, results, answer, …
    recorded   `Recorded`: calls answered with what another run has recorded of them
    settled    what an earlier run's events say about its calls, for `resume`
    roots      the folders that a tool may look into, and nothing outside of them
    mcp        the tools of other programs, over the Model Context Protocol
    secrets    which names say that something holds keys
    beneath    how the kernel itself opens a path beneath a folder
    places     where and how a file is written: in one step, beneath a root
    diffs      what changes between two texts
    preimages  what files were before a run has written them
    builtin    the tools that come with chatstream

Nothing here is imported unless a run has tools.
"""
