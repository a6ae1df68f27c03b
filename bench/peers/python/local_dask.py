"""Dask on this machine, as all peers with it start it: a process for each worker, one thread each."""

import contextlib
import logging
import sys

import dask
from distributed import Client, LocalCluster


@contextlib.contextmanager
def cluster(workers):
    """The client of a new cluster, and where its workers are; they find modules where this program does."""
    dask.config.set({"distributed.worker.profile.enabled": False})
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        ) as local,
        Client(local) as client,
    ):
        client.run(sys.path.insert, 0, sys.path[0])
        yield client, list(client.scheduler_info()["workers"])
