"""Each of InfluxDB's clients with its own defaults: is somebody there, a database, and lines to write.

    influx_clients.py URL_OF_1X URL_OF_OTHERS
"""

import sys
from urllib.parse import urlsplit

import influxdb
import influxdb_client
import influxdb_client_3

START = 1_700_000_000_000_000_000
VALUES = [(START + n * 1_000_000_000, 50.0 + n % 7) for n in range(30)]


def first(url):
    """1.x creates its database before it writes."""
    address = urlsplit(url)
    with influxdb.InfluxDBClient(address.hostname, address.port, database="of_client") as client:
        assert "qualm" in client.ping(), "who answers"
        client.create_database("of_client")
        points = [{"measurement": "load", "fields": {"value": value}, "time": time} for time, value in VALUES]
        assert client.write_points(points)


def second(url):
    """2.x asks for health before it writes; by default it collects what it writes."""
    with influxdb_client.InfluxDBClient(url, token="a-token", org="ops") as client:
        health = client.health()
        assert health.status == "pass", health
        assert client.ping() and "qualm" in client.version()
        failed = []
        with client.write_api(error_callback=lambda *args: failed.append(args)) as api:
            for time, value in VALUES:
                api.write("second", record=influxdb_client.Point("load").field("value", value).time(time))
        assert not failed, failed


def third(url):
    """3.x writes to the path of 2.x by default, and to its own where it is configured to."""
    points = [influxdb_client_3.Point("load").field("value", value).time(time) for time, value in VALUES]
    for database, more in [("third", {}), ("third_own", {"write_use_v2_api": False})]:
        with influxdb_client_3.InfluxDBClient3(host=url, token="a-token", database=database, **more) as client:
            assert "qualm" in client.get_server_version()
            client.write(points)


first(sys.argv[1])
second(sys.argv[2])
third(sys.argv[2])
