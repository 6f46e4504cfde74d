"""A DNS server on loopback, as a cluster's own is to its pods: it knows the names that it is told."""

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from lab.server import LOOPBACK

_TTL_SECONDS = 1


@contextmanager
def serving(names: Mapping[str, str]) -> Iterator[int]:
    """Answer A queries over UDP for as long as the block lasts.

    Args:
        names: the address of each host; it may change meanwhile. Other hosts do not exist.

    Yields:
        The port.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            sock.sendto(_answer(data, names), self.client_address)

    with socketserver.ThreadingUDPServer((LOOPBACK, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def _answer(data: bytes, names: Mapping[str, str]) -> bytes:
    query = dns.message.from_wire(data)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA | dns.flags.AA
    question = query.question[0]
    address = names.get(question.name.to_text(omit_final_dot=True))
    if address is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, _TTL_SECONDS, "IN", "A", address))
    return response.to_wire()
