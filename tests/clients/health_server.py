"""A server with the health service of gRPC's own library, in clear and over TLS.

    health_server.py CLEAR_PORT TLS_PORT CERTIFICATE KEY

The service shop.Cart serves; after SIGUSR1 it does not, after SIGUSR2 it does again. shop.Old does not.
"""

import signal
import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

Status = health_pb2.HealthCheckResponse


def main(clear_port, tls_port, certificate, key):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    servicer = health.HealthServicer()
    servicer.set("shop.Cart", Status.SERVING)
    servicer.set("shop.Old", Status.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    with open(certificate, "rb") as certificate, open(key, "rb") as key:
        credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    server.add_insecure_port(f"127.0.0.1:{clear_port}")
    server.add_secure_port(f"127.0.0.1:{tls_port}", credentials)
    signals = {signal.SIGUSR1: Status.NOT_SERVING, signal.SIGUSR2: Status.SERVING}
    # Blocked before the server's threads begin, so that they are waited for and nobody else takes them.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server.start()
    while True:
        servicer.set("shop.Cart", signals[signal.sigwait(signals)])


main(*sys.argv[1:])
