"""Frames of cameras, streams and videos: the newest, however slow one is; and what happens when they are lost."""

import io
import json
import os
import re
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from fmnist_edge.cameras.camera import FeedOptions
from fmnist_edge.cameras.devices import cameras
from fmnist_edge.cameras.feed import EndOfFeed, Feed, Frame
from fmnist_edge.errors import SourceError
from fmnist_edge.pictures.kinds import READABLE
from support.camera_server import CameraServer, RtspServer, jpeg
from support.commands import FMNIST_EDGE, fmnist_edge

RED, BLUE = (200, 0, 0), (0, 0, 200)

IMPATIENT = FeedOptions(patience=1.0, pauses=(0.05, 0.2))
"""As cameras are treated, in less time."""


def open_feed(source: object, options: FeedOptions = IMPATIENT, tell: Callable[[str], None] = print) -> Feed:
    return Feed(cameras(str(source), options), options, tell)


def next_frame(feed: Feed, seconds: float = 10) -> Frame:
    frame = feed.next(seconds)
    assert frame is not None
    return frame


def wait_for(said: list[str], words: str, feed: Feed, seconds: float = 20) -> None:
    """Takes frames until it has been said."""
    end = time.monotonic() + seconds
    while not any(words in line for line in said) and time.monotonic() < end:
        feed.next(0.05)
    assert any(words in line for line in said), said


def all_frames(feed: Feed) -> list[Frame]:
    frames = []
    with suppress(EndOfFeed):
        while True:
            frames += [frame] if (frame := feed.next(1)) else []
    return frames


def write_video(path: Path, seconds: float, codec: str = "mpeg4", rate: int = 30) -> Path:
    """Each frame is as red as its number."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate)
        stream.width, stream.height = 320, 240
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(round(seconds * rate)):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (320, 240), (number, 0, 0)))))
        container.mux(stream.encode())
    return path


def is_like(frame: Frame, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.subtract(frame.image.getpixel((5, 5)), colour)).max() < 10)


def is_fresh(frame: Frame) -> bool:
    return time.monotonic() - frame.taken < 0.5


def test_the_test_source_delivers_what_is_asked_for() -> None:
    with open_feed("test", FeedOptions(size=(320, 240), fps=20)) as feed:
        frames = [next_frame(feed) for _ in range(10)]

    assert feed.name == "test, 320x240 rgb24 at 20"
    assert feed.live
    assert frames[0].image.size == (320, 240)
    assert frames[9].seconds == pytest.approx(frames[9].number / 20)
    assert is_fresh(frames[9])


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "mjpeg"])
def test_fast_hands_out_each_frame_of_a_video(codec: str, tmp_path: Path) -> None:
    with open_feed(write_video(tmp_path / "film.mkv", 2, codec), FeedOptions(fast=True)) as feed:
        frames = all_frames(feed)

    assert not feed.live
    assert [frame.number for frame in frames] == list(range(60))
    assert [frame.seconds for frame in frames] == pytest.approx([number / 30 for number in range(60)], abs=0.001)
    assert all(is_like(frame, (frame.number, 0, 0)) for frame in frames)
    assert feed.dropped == 0


@pytest.mark.slow
def test_a_video_runs_in_its_own_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with open_feed(write_video(tmp_path / "film.mp4", 2)) as feed:
        frames = all_frames(feed)

    assert time.monotonic() - began > 1.9
    assert frames[-1].number == 59
    assert len(frames) + feed.dropped == 60


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_a_slow_reader_gets_the_newest_frame(codec: str, tmp_path: Path) -> None:
    with open_feed(write_video(tmp_path / "film.mkv", 3, codec)) as feed:
        next_frame(feed)
        time.sleep(1)
        frame = next_frame(feed)

    assert frame.number >= 25
    assert is_like(frame, (frame.number, 0, 0))
    assert is_fresh(frame)
    assert feed.dropped == frame.number - 1


@pytest.mark.parametrize("source", [["%04d.png"], ["."], ["*.png"], ["pictures.zip"], [f"{n:04}.png" for n in (7, 8, 10)], ["-"]])
def test_pictures_are_shown_in_their_order(source: list[str], tmp_path: Path) -> None:
    (tmp_path / "list").write_text("0007.png\n0008.png\n0010.png\n")
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for number in (7, 8, 10):
            Image.new("RGB", (64, 48), (20 * number, 0, 0)).save(tmp_path / f"{number:04}.png")
            archive.write(tmp_path / f"{number:04}.png", f"{number}.png")

    result = fmnist_edge(
        "camera", *source, "--fast", "--fps", "10", "--json", cwd=tmp_path, input=(tmp_path / "list").read_text()
    )

    name = {"-": "stdin", "0007.png": "3 sources"}.get(source[0], source[0])
    assert result.returncode == 0
    assert result.stderr.startswith(f"fmnist-edge: {name}, 64x48 at 10\nfmnist-edge: 3 frames in ")
    assert [json.loads(line)["seconds"] for line in result.stdout.splitlines()] == [0, 0.1, 0.2]


@pytest.mark.slow
def test_a_video_that_comes_on_stdin_is_shown(tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.ts", 0.5, "mpeg2video").read_bytes()

    done = subprocess.run([FMNIST_EDGE, "camera", "-", "--fast"], input=video, capture_output=True)

    assert done.returncode == 0
    assert done.stderr.startswith(b"fmnist-edge: stdin, 320x240 mpeg2video at 30\n")


def test_a_film_of_a_phone_is_turned_upright(tmp_path: Path) -> None:
    with av.open(write_video(tmp_path / "film.mp4", 0.2)) as source, av.open(tmp_path / "turned.mp4", "w") as turned:
        stream = turned.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                turned.mux(packet)

    with open_feed(tmp_path / "turned.mp4") as feed:
        assert next_frame(feed).image.size == (240, 320)


def test_corrupt_frames_of_a_video_are_said_once_and_the_others_are_handed_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    video, said = write_video(tmp_path / "film.avi", 2, "mjpeg"), []
    content = bytearray(video.read_bytes())
    starts = [start for start in range(len(content)) if content[start : start + 3] == b"\xff\xd8\xff"]
    for start in starts[20:25]:
        content[start : start + 700] = random.bytes(700)
    video.write_bytes(content)

    with open_feed(video, FeedOptions(fast=True), said.append) as feed:
        frames = all_frames(feed)

    assert said == [f"{video}: a corrupt frame; going on with the next"]
    assert [frame.number for frame in frames] == [*range(20), *range(25, 60)]
    assert feed.dropped == 5


def test_mjpeg_over_http_is_shown_as_it_comes() -> None:
    with CameraServer(jpeg(RED)) as camera, open_feed(f"{camera.address}/stream") as feed:
        first = next_frame(feed)
        camera.picture = jpeg(BLUE)
        time.sleep(0.5)
        later = next_frame(feed)

    assert feed.live
    assert is_like(first, RED)
    assert is_like(later, BLUE)
    assert is_fresh(later)
    assert feed.dropped >= 5


def test_frames_over_http_are_known_by_what_they_are_and_not_by_their_name() -> None:
    with CameraServer(jpeg(RED)) as camera, open_feed(f"{camera.address}/pictures.jpg") as feed:
        assert is_like(next_frame(feed), RED)


def test_a_picture_over_http_is_fetched_again_and_again() -> None:
    with CameraServer(jpeg(RED)) as camera, open_feed(f"{camera.address}/picture", FeedOptions(fps=20)) as feed:
        first = next_frame(feed)
        camera.picture = jpeg(BLUE)
        time.sleep(0.5)

        assert is_like(first, RED)
        assert is_like(next_frame(feed), BLUE)


def test_rtsp_is_shown_as_it_comes() -> None:
    with RtspServer() as camera, open_feed(camera.source) as feed:
        frames = [next_frame(feed) for _ in range(40)]

    assert "320x240 h264" in feed.name
    assert is_like(frames[-1], RED)
    assert is_fresh(frames[-1])


@pytest.mark.slow
@pytest.mark.parametrize("server", [CameraServer, RtspServer])
def test_a_stream_that_stalls_is_said_to_be_lost_and_back_once(server: type[CameraServer] | type[RtspServer]) -> None:
    said: list[str] = []
    with server() as camera, open_feed(camera.source, tell=said.append) as feed:
        next_frame(feed)
        camera.stalled = True
        wait_for(said, "lost", feed)
        time.sleep(1)
        camera.stalled = False
        wait_for(said, "back", feed)

        assert is_fresh(next_frame(feed))
    assert said == [f"{camera.source}: lost (no frame for 1 seconds); trying to open it again", f"{camera.source}: back"]


@pytest.mark.slow
def test_fifty_times_unplugged_and_plugged_in_again_leave_nothing_behind() -> None:
    said: list[str] = []

    def unplug_and_plug_in() -> None:
        camera.unplug()
        wait_for(said, "lost", feed)
        camera.plug_in()
        wait_for(said, "back", feed)
        said.clear()

    with CameraServer() as camera, open_feed(camera.source, tell=said.append) as feed:
        for _ in range(10):
            unplug_and_plug_in()
        before = resources()
        for _ in range(50):
            unplug_and_plug_in()
        after = resources()

    assert after[:2] == before[:2]
    assert after[2] - before[2] < 5000


def resources() -> tuple[int, int, int]:
    """Threads, file handles, and KB of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE") // 1024


def test_a_camera_may_come_back_with_another_size() -> None:
    said: list[str] = []
    with CameraServer(jpeg(size=(320, 240))) as camera, open_feed(camera.source, tell=said.append) as feed:
        before = next_frame(feed)
        camera.unplug()
        wait_for(said, "lost", feed)
        camera.picture = jpeg(size=(640, 480))
        camera.plug_in()
        wait_for(said, "back", feed)

        assert [before.image.size, next_frame(feed).image.size] == [(320, 240), (640, 480)]


def test_a_stream_may_change_its_size() -> None:
    with CameraServer(jpeg(size=(320, 240))) as camera, open_feed(camera.source) as feed:
        before = next_frame(feed)
        camera.picture = jpeg(size=(640, 480))
        time.sleep(0.5)

        assert [before.image.size, next_frame(feed).image.size] == [(320, 240), (640, 480)]


def test_a_stream_of_corrupt_frames_is_opened_again() -> None:
    said: list[str] = []
    with CameraServer() as camera, open_feed(camera.source, tell=said.append) as feed:
        next_frame(feed)
        camera.picture = b"\xff\xd8\xff" + bytes(1000)
        wait_for(said, "lost", feed)
        camera.picture = jpeg()
        wait_for(said, "back", feed)

    assert said[0] == f"{camera.source}: a corrupt frame; going on with the next"


def test_without_retry_a_lost_camera_ends_it() -> None:
    with CameraServer() as camera:
        with open_feed(camera.source, FeedOptions(retry=False)) as feed:
            next_frame(feed)
            camera.unplug()
            with pytest.raises(SourceError, match="it has ended"):
                wait_for([], "an error", feed)
        camera.plug_in()


@pytest.mark.parametrize("server", [CameraServer, RtspServer])
def test_closing_takes_less_than_a_second_while_a_stream_stalls(server: type[CameraServer] | type[RtspServer]) -> None:
    with server() as camera:
        with open_feed(camera.source, FeedOptions()) as feed:
            next_frame(feed)
            camera.stalled = True
            time.sleep(0.5)
            began = time.monotonic()

        assert time.monotonic() - began < 0.8
        assert "camera" not in [thread.name for thread in threading.enumerate()]
        camera.stalled = False


def test_closing_takes_less_than_a_second_while_it_waits_to_open_again() -> None:
    said: list[str] = []
    with CameraServer() as camera:
        with open_feed(camera.source, FeedOptions(pauses=(30, 30)), said.append) as feed:
            next_frame(feed)
            camera.unplug()
            wait_for(said, "lost", feed)
            began = time.monotonic()

        assert time.monotonic() - began < 0.8
        camera.plug_in()


def test_user_and_password_are_used_and_never_shown() -> None:
    with CameraServer() as camera:
        camera.password = "Basic am9lOnMzY3JldA=="  # joe:s3cret
        place = camera.source.removeprefix("http://")

        with open_feed(f"http://joe:s3cret@{place}?key=s3cret") as feed:
            next_frame(feed)
            assert "s3cret" not in feed.name
        refused = fmnist_edge("camera", "--source", f"http://joe:wr0ng@{place}?key=wr0ng")

    assert refused.returncode == 1
    assert refused.stderr == f"fmnist-edge: {camera.source}: 401 Unauthorized; name user and password: http://USER:PASSWORD@...\n"


@pytest.mark.parametrize(
    ("path", "complaint"), [("/page", "it sends text/html, not a video"), ("/none", "404 Not Found"), ("/slow", "no answer")]
)
def test_what_is_no_stream_is_an_error(path: str, complaint: str) -> None:
    with CameraServer() as camera:
        camera.stalled = True
        with pytest.raises(SourceError, match=f"^{camera.address}{path}: {complaint}"):
            open_feed(camera.address + path)


def test_where_nobody_listens_is_an_error() -> None:
    with CameraServer() as camera:
        address = camera.address

    with pytest.raises(SourceError, match="connection refused"):
        open_feed(f"{address}/stream")
    with pytest.raises(SourceError, match="connection refused"):
        open_feed(address.replace("http", "rtsp"))


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("rstp://camera/live", "rstp:// is unknown; did you mean rtsp://?"),
        ("ftp://camera/live", "ftp:// is unknown; rtsp:// and http:// are known"),
        ("gone.mp4", "gone.mp4: no such file or directory"),
        ("//[gone://film.mp4", "//[gone://film.mp4: no such file or directory, and no file matches it as a pattern"),
        ("empty.mp4", "empty.mp4: the file is empty"),
        ("text.mp4", "text.mp4: it is no video that can be read, or damaged"),
        ("folder", f"folder: no pictures in this folder ({READABLE}); -r searches its subfolders too"),
        ("folder/%d.png", "folder/%d.png: no such file or directory, and no file matches it as a pattern"),
        ("pipe", "pipe: a folder, pipe or device, not a video"),
        ("/dev/null", "/dev/null: it is no camera; 'fmnist-edge camera list' says what there is"),
        ("/dev/video77", "/dev/video77: no camera is connected there; plug it in"),
        ("77", "/dev/video77: no camera is connected there; plug it in"),
    ],
)
def test_what_can_not_be_opened_is_one_line(source: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    result = fmnist_edge("camera", source, cwd=tmp_path)

    assert (result.returncode, result.stdout) == (2 if re.match(r"\w+://", source) else 1, "")
    assert result.stderr == f"fmnist-edge: {complaint}\n"


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp"])
def test_a_host_that_does_not_exist_is_not_found(scheme: str) -> None:
    with pytest.raises(SourceError, match=f"^{scheme}://no-such-host.invalid/live: host not found"):
        open_feed(f"{scheme}://no-such-host.invalid/live")


NO_CAMERA = pytest.mark.skipif(any(Path("/dev").glob("video*")), reason="this machine has a camera")


@NO_CAMERA
def test_without_a_camera_auto_says_what_it_has_tried() -> None:
    result = fmnist_edge("camera", "--source", "auto")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(
        "fmnist-edge: no camera is connected; 'fmnist-edge camera test' works without one; picamera: picamera2 "
    )
    assert len(result.stderr.splitlines()) == 1


@NO_CAMERA
def test_without_a_camera_the_list_names_the_test_source() -> None:
    result = fmnist_edge("camera", "--source", "list")

    assert (result.returncode, result.stderr) == (0, "")
    assert "no camera is connected; 'fmnist-edge camera test' works without one\ntest " in result.stdout


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.ts", 1)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1.0,\nfile://{video}\n#EXT-X-ENDLIST\n")
    concat = tmp_path / "list.ffconcat"
    concat.write_text(f"ffconcat version 1.0\nfile {video.name}\n")

    for hostile in (playlist, concat):
        with pytest.raises(SourceError):
            open_feed(hostile)


def test_a_video_larger_than_can_be_decoded_here_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "png")
    (tmp_path / "large.png").write_bytes(file.getvalue())

    with pytest.raises(SourceError, match="nothing in it can be decoded"):
        open_feed(tmp_path / "large.png")
