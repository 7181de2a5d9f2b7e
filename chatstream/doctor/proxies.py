"""What is known about the proxies between a client and a model: how they show themselves, when they
give up, and what to change. Literal tables for `doctor`: one more proxy is one more row.
"""

from __future__ import annotations

IDLE_LIMITS = (
    (30.0, "AWS CloudFront (and of Heroku, up to the first byte)"),
    (50.0, "HAProxy (timeout server, in its examples)"),
    (55.0, "Heroku"),
    (60.0, "nginx (proxy_read_timeout), Apache (ProxyTimeout) and AWS ALB"),
    (100.0, "Cloudflare"),
    (120.0, "Cloudflare's tunnel"),
    (230.0, "Azure App Service"),
    (300.0, "Envoy (stream_idle_timeout) and Node's fetch"),
)
"""Default limits on the time without a byte, in seconds, and the proxies that have them."""

TOTAL_LIMITS = (
    (15.0, "Envoy (the route's timeout)"),
    (29.0, "AWS API Gateway"),
    (30.0, "Google Cloud's load balancer (timeoutSec) and gunicorn (--timeout)"),
    (300.0, "Google Cloud Run and Vercel"),
    (900.0, "AWS Lambda"),
)
"""Limits on a whole answer, in seconds, even if bytes keep coming."""

PROXIES: tuple[tuple[str, str, str, str], ...] = (
    ("cf-ray", "", "Cloudflare", "turn off what reads the body there (response buffering, rules)"),
    ("apigw-requestid", "", "AWS API Gateway", "HTTP APIs cannot stream: use a REST API"),
    ("x-amz-apigw-id", "", "AWS API Gateway", "set the response transfer mode to STREAM"),
    ("x-amz-cf-id", "", "AWS CloudFront", "turn off compression for this path"),
    ("server", "nginx", "nginx", "set `proxy_buffering off;` for this location"),
    ("server", "openresty", "OpenResty", "set `proxy_buffering off;` for this location"),
    ("server", "apache", "Apache", "add `flushpackets=on` to ProxyPass"),
    ("server", "envoy", "Envoy", "remove filters that read bodies (ext_proc, compressor)"),
    ("via", "caddy", "Caddy", "set `flush_interval -1` in reverse_proxy"),
    ("via", "varnish", "Varnish", "set `beresp.do_stream`"),
)
"""A header, what its value contains, the proxy that sends it, and how to stop its buffering."""

ADVICE = {
    401: "check the key: `chatstream config show` says where it comes from",
    403: "check the key and its permissions, and whether a proxy needs its own login",
    404: "check the address (--base-url, often with /v1) and the model (`chatstream models`)",
    429: "wait a while; a proxy may also limit requests",
    502: "the proxy cannot reach the server: check that it runs where the proxy expects it",
    503: "the server is not ready: wait, and check whether it has free workers",
    504: "the proxy gave up on the server: raise its timeout, or load the model beforehand",
    524: "Cloudflare gave up on the server: send headers at once, then keep-alives",
}
"""What to do about an HTTP status."""
