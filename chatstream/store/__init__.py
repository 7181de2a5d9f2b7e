"""What outlives the process: journals of runs, conversations of them, and the history over both.

journal        the file of one run, as it is written; `reading` reads it, `following` while it
               is still being written
conversation   trees of runs: what follows what, where a conversation continues, its name
               (`heads` keeps the last two)
history        everything that was said, found again: `entries` are the runs in its tables,
               `tree` the messages, `branches` a conversation drawn, `searching` its words
database       the file of the history; `migrations` give it its form, `rescue` saves what a
               damaged one still has
retention      how long journals are kept
blobs          the images of conversations
place          the folders of all this
"""
