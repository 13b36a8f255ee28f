"""Importing this makes http.client read headers as HTTP has them, not by the parser of mail, in which
the proxies of the tests spend a quarter of their time."""

import http.client


def parse_headers(fp, _class=http.client.HTTPMessage):
    """As http.client.parse_headers, without folded lines, which HTTP has done away with."""
    message = _class()
    for number in range(200):
        line = fp.readline(65537)
        if len(line) > 65536:
            raise http.client.LineTooLong("header line")
        if line in (b"\r\n", b"\n", b""):
            return message
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if not colon or name != name.strip():
            raise http.client.HTTPException(f"no header: {line!r}")
        message[name] = value.strip(" \t\r\n")  # Bytes of UTF-8 may be spaces of Latin-1.
    raise http.client.HTTPException(f"more than {number + 1} headers")


http.client.parse_headers = parse_headers
