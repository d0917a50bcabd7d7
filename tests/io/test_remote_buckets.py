"""Images in buckets: needs moto, an S3 server for tests (`make test-s3`)."""

from __future__ import annotations

import numpy as np
import pytest

import seamlabel
from seamlabel.errors import RemoteError
from seamlabel.io.ngff.images import write_image
from seamlabel.io.sources import image_info, open_labels
from seamlabel.testing.cells import Tissue

obstore = pytest.importorskip("obstore")
moto = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def server():
    """Return an S3 server's address."""
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def keys(server, monkeypatch):
    """Have the environment of somebody who may read everything there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("SEAMLABEL_REMOTE_RETRIES", "0")


@pytest.fixture
def bucket(server, keys, tmp_path):
    """Return a local image, and the address of its copy in a bucket."""
    from urllib.request import Request, urlopen

    cells = Tissue((256, 256), "dense", seed=3, diameter=16)
    write_image(tmp_path / "a.zarr", cells.shape, "uint16", cells.image, axes="yx", chunks=(32, 32))
    urlopen(Request(f"{server}/moto-api/reset", method="POST")).close()
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request"}
    urlopen(Request(f"{server}/cells-bucket", method="PUT", headers=headers)).close()
    store = obstore.store.S3Store("cells-bucket", client_options={"allow_http": True})
    for file in (tmp_path / "a.zarr").rglob("*"):
        if file.is_file():
            obstore.put(store, f"plates/1/{file.relative_to(tmp_path)}", file.read_bytes())
    return tmp_path / "a.zarr", "s3://cells-bucket/plates/1/a.zarr"


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_image_in_a_bucket_is_segmented_like_the_local_one(bucket, tmp_path, executor):
    here, there = bucket
    found = []
    for image, name in ((here, "here.zarr"), (there, "there.zarr")):
        output = tmp_path / name
        how = {"output": str(output), "executor": executor, "workers": 2, "progress": False}
        result = seamlabel.segment(str(image), "threshold", tile_shape=64, overlap=12, **how)
        found.append(np.asarray(open_labels(result.path)[0]))
    np.testing.assert_array_equal(*found)
    assert found[0].max() > 10


def test_what_a_bucket_does_not_let_anybody_read_is_told_with_what_to_set(bucket, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        RemoteError, match=r"s3://cells-bucket/plates/1/a.zarr/zarr.json cannot be read: not allowed"
    ) as caught:
        image_info(bucket[1])
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
    assert "hidden" not in f"{caught.value}{caught.value.hint}"
