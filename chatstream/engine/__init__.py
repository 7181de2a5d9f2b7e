"""What joins the rooms: settings, services and runs. No typer, and no screen.

settings     every setting: where it comes from, which value holds
             (`layers`, `config_file`, `shapes`, `places`, `headers`, `labels` and
             `extra_options` are its parts)
configuration  settings by their names, as `config` shows and changes them
services     whom to ask: the provider and the model that the settings name, or the first there
             are (`endpoints`, `api_keys`, `model_list`, `whom`)
run          settings and messages in, the events of one run out
resume       an answer that broke off, continued
replay       recordings played back
measuring    the sources of a benchmark
"""
