"""MovieLens from generated zips in the published layout, served by a local server."""

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from unittest.mock import Mock
from zipfile import ZipFile, ZipInfo

import pytest

from tfllmrec.data import load_dataset, load_movielens, movielens
from tfllmrec.errors import InputError

FLAGS_100K = ["unknown", "Action", "Children's", "Film-Noir"]
FILES = {
    "100k": {
        "u.data": "196\t242\t3\t881250949\n186\t302\t4\t891717742\n196\t302\t1\t881250950\n",
        "u.genre": "".join(f"{name}|{number}\n" for number, name in enumerate(FLAGS_100K)) + "\n",
        "u.item": '242|Kolya (1996)|24-Jan-1997||http://imdb|0|1|0|1\n302|"L\'Été" NA|||""|1|0|0|0\n',
        "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
    },
    "1m": {
        "ratings.dat": "1::1193::5::978300760\n2::1193::4::978298413\n2::661::3::978298414\n",
        "movies.dat": "661::James | Pêche: 2 (1996)::Animation|Children's\n1193::One, Two (1975)::Drama\n",
        "users.dat": "1::F::1::10::48067\n2::M::56::16::07003\n",
    },
    "latest-small": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,3,0.5,964981247\n02,3,5.0,99\n",
        "movies.csv": 'movieId,title,genres\n1,"Toy, ""Story"" 玩具 (1995)",A|B\n3,NA,(no genres listed)\n',
    },
}


def generated_zip(name):
    encoding = "utf-8" if name == "latest-small" else "latin-1"
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for file, text in FILES[name].items():
            # A ZipInfo has a fixed date: two zips of one name have the same checksum at any time.
            archive.writestr(ZipInfo(f"ml-{name}/{file}"), text.encode(encoding))
    return buffer.getvalue()


@contextmanager
def serving(responses):
    """Start a server that sends `responses`, bodies or status codes, in turn and then repeats the last one."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            response = responses[min(len(requests), len(responses)) - 1]
            if isinstance(response, int):
                self.send_error(response)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(response)))
            self.end_headers()
            self.wfile.write(response)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/movielens", requests
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def generated_archives(monkeypatch):
    """Replace the published checksums by those of the generated zips, and do not wait between retries."""
    for name, archive in movielens.ARCHIVES.items():
        sha256 = hashlib.sha256(generated_zip(name)).hexdigest()
        monkeypatch.setitem(movielens.ARCHIVES, name, replace(archive, sha256=sha256))
    monkeypatch.setattr("pooch.core.time", Mock())


def tables(name, tmp_path, **options):
    with serving([generated_zip(name)]) as (url, _):
        data = load_movielens(name, cache=tmp_path, base_url=url, **options)
    rows = data.interactions.set_index(["user_id", "item_id"])
    return data, rows, data.items.set_index("item_id")


def test_100k(tmp_path):
    data, rows, items = tables("100k", tmp_path)
    assert data.summary() == {"interactions": 3, "users": 2, "items": 2}
    assert rows.loc[("196", "242")].to_dict() == {"rating": 3.0, "timestamp": 881250949}
    assert items.loc["242"].to_dict() == {"title": "Kolya (1996)", "categories": "Action|Film-Noir"}
    assert items.loc["302"].to_dict() == {"title": '"L\'Été" NA', "categories": ""}
    assert data.users.to_dict("records") == [
        {"user_id": "196", "age": 49, "gender": "M", "occupation": "writer", "zip_code": "55105"},
        {"user_id": "186", "age": 39, "gender": "F", "occupation": "executive", "zip_code": "00000"},
    ]


def test_1m(tmp_path):
    data, rows, items = tables("1m", tmp_path)
    assert data.summary() == {"interactions": 3, "users": 2, "items": 2}
    assert rows.loc[("2", "661")].to_dict() == {"rating": 3.0, "timestamp": 978298414}
    assert items.loc["661"].to_dict() == {
        "title": "James | Pêche: 2 (1996)",
        "categories": "Animation|Children's",
    }
    assert items.loc["1193", "title"] == "One, Two (1975)"
    assert data.users.loc[1].to_dict() == {
        "user_id": "2",
        "gender": "M",
        "age": 56,
        "occupation": "16",
        "zip_code": "07003",
    }


def test_latest_small(tmp_path):
    data, rows, items = tables("latest-small", tmp_path)
    assert data.summary() == {"interactions": 3, "users": 2, "items": 2}
    assert rows.loc[("02", "3")].to_dict() == {"rating": 5.0, "timestamp": 99}
    assert items.loc["1"].to_dict() == {"title": 'Toy, "Story" 玩具 (1995)', "categories": "A|B"}
    assert items.loc["3"].to_dict() == {"title": "NA", "categories": ""}
    assert data.users is None


def test_minimum_is_applied(tmp_path):
    data, _, _ = tables("100k", tmp_path, min_item_interactions=2)
    assert data.summary() == {"interactions": 2, "users": 2, "items": 1}


def test_file_is_downloaded_once(tmp_path):
    with serving([generated_zip("1m")]) as (url, requests):
        load_movielens("1m", cache=tmp_path, base_url=url)
        load_movielens("1m", cache=tmp_path, base_url=url + "/")
    assert requests == ["/movielens/ml-1m.zip"]
    assert [path.name for path in tmp_path.iterdir()] == ["ml-1m.zip"]


def test_file_in_the_cache_is_used(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(generated_zip("1m"))
    assert len(load_movielens("1m", cache=tmp_path, base_url="http://127.0.0.1:9").interactions) == 3


def test_damaged_file_in_the_cache_is_replaced(tmp_path):
    (tmp_path / "ml-1m.zip").write_bytes(b"half a zip")
    data, _, _ = tables("1m", tmp_path)
    assert data.summary()["interactions"] == 3


@pytest.mark.parametrize("failure", [503, b"half a zip"])
def test_failed_download_is_retried(tmp_path, failure):
    with serving([failure, generated_zip("1m")]) as (url, requests):
        data = load_movielens("1m", cache=tmp_path, base_url=url)
    assert data.summary()["interactions"] == 3
    assert len(requests) == 2


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"half a zip", "ml-1m.zip is damaged, its SHA-256 is not"),
        (404, "ml-1m.zip cannot be downloaded .HTTP status 404"),
    ],
)
def test_failed_download_is_one_error_and_leaves_no_file(tmp_path, response, message):
    with serving([response]) as (url, requests), pytest.raises(InputError, match=message) as caught:
        load_movielens("1m", cache=tmp_path, base_url=url)
    assert len(requests) == 3
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) in str(caught.value)


def test_no_network_is_one_error(tmp_path):
    with serving([404]) as (url, _):
        pass  # the port is closed now
    with pytest.raises(InputError, match=r"ml-1m.zip cannot be downloaded .* copy the file into"):
        load_movielens("1m", cache=tmp_path, base_url=url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["100k", "1m", "latest-small"])
def test_load_dataset_knows_the_names(name, tmp_path, monkeypatch):
    (tmp_path / f"ml-{name}.zip").write_bytes(generated_zip(name))
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path)
    assert load_dataset(f"ml-{name}").summary() == {"interactions": 3, "users": 2, "items": 2}
