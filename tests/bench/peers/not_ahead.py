"""chatstream as it is, but its connections begin when they are needed, and not before."""

import sys

from chatstream.cli import choose
from chatstream.cli.app import main

choose.begin_ahead = lambda settings: None
sys.exit(main())
