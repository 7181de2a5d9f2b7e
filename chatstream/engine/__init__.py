"""What joins the rooms: settings, services and runs. No typer, and no screen.

settings       every setting, declared once; `resolve` finds which values hold
kinds          which of them are secret, or belong together
               (`layers`, `config_file`, `shapes`, `places`, `headers`, `labels` and
               `option_pairs` are its parts)
configuration  settings by their names, as `config` shows and changes them
services       who is asked: the provider and the model that the settings name, or the first
               there are (`endpoints`, `api_keys`, `model_list`, `whom`)
pipeline       settings and messages in, one run out
run            a run: its events for whoever reads them, and for others who watch
client         asks, and keeps its connections (`pool`) from one question to the next
outcome        a run's events, its message, or the exception that it ended with
options        what a client takes, checked; its questions are checked in `prompts`
place          where in a conversation a question stands; `conversation` asks one after another
resume         an answer that broke off, continued
replay         recordings played back
measuring      the sources of a benchmark
working        any callable, and how far it is
"""
