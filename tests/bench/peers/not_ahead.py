"""chatstream as it is, but its connections begin when they are needed, and not before."""

import sys

from chatstream.cli.app import main
from chatstream.engine import services

services.begin_ahead = lambda settings: None
sys.exit(main())
