"""A mail server for tests: aiosmtpd with TLS and log-in, one JSON line per mail it takes.

The first line of standard output is the port; each further line is a mail:
{"from", "to": [...], "subject", "headers": {name: value}, "text", "html"}.
`--refuse CODE:N` answers the first N mails with that code instead.
"""

import argparse
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", choices=["starttls", "implicit", "none"], default="starttls")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mechanism", action="append", help="offer only these (PLAIN, LOGIN)")
    parser.add_argument("--refuse", default="", metavar="CODE:N")
    return parser.parse_args()


def say(line):
    print(line, flush=True)


def content(message, kind):
    part = message.get_body(preferencelist=(kind,))
    return part.get_content() if part is not None else None


class Inbox:
    """Takes mails and prints them."""

    def __init__(self, refuse):
        code, _, times = refuse.partition(":")
        self.answer, self.refusals = f"{code} refused by the test", int(times or 0)

    async def handle_DATA(self, _server, _session, envelope):
        if self.refusals > 0:
            self.refusals -= 1
            return self.answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(json.dumps({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(message["Subject"]),
            "headers": {name: str(value) for name, value in message.items()},
            "text": content(message, "plain"),
            "html": content(message, "html"),
        }))
        return "250 OK"


async def main():
    args = arguments()
    context = None
    if args.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.cert, args.key)

    def check(_server, _session, _envelope, _mechanism, data):
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            args.user.encode(), args.password.encode())
        return AuthResult(success=good, handled=False)

    inbox = Inbox(args.refuse)
    offered = args.mechanism or ["PLAIN", "LOGIN"]

    def factory():
        return SMTP(
            inbox,
            tls_context=context if args.tls == "starttls" else None,
            require_starttls=args.tls == "starttls",
            auth_required=args.user is not None,
            auth_require_tls=args.tls == "starttls",
            auth_exclude_mechanism=[name for name in ["PLAIN", "LOGIN"] if name not in offered],
            authenticator=check if args.user is not None else None,
        )

    server = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", args.port, ssl=context if args.tls == "implicit" else None)
    say(server.sockets[0].getsockname()[1])
    async with server:
        await server.serve_forever()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(0)
