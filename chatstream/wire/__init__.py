"""Bytes to frames, without any I/O: lines, server-sent events, newline-delimited JSON.

Every decoder has the same two methods:

    feed(data)   the frames that `data` completes, in order; never waits for more
    feed_eof()   the frames that the end of the stream completes

Frames do not depend on how the bytes are cut into reads, and neither does the work per byte, which
is constant. Raises `LineTooLong` past the safety limit.
"""

from chatstream.wire.lines import MAX_LINE_BYTES, LineSplitter
from chatstream.wire.ndjson import NDJSONDecoder
from chatstream.wire.sse import STRAY, SSEDecoder, SSEFrame

__all__ = ["MAX_LINE_BYTES", "STRAY", "LineSplitter", "NDJSONDecoder", "SSEDecoder", "SSEFrame"]
