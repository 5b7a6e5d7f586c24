"""Records sound and film with PyAV (FFmpeg), with metadata wherever a format has room for it."""

from __future__ import annotations

import io
import math
import struct
import tempfile
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRETS = (b"SECRET", b"52.01", b"2021-05", b"2021:05")
"""What must not be in a cleaned file."""
METADATA = {
    "creation_time": "2021-05-06T07:08:09Z",
    "date": "2021-05-06",
    "location": "+52.0116+004.3571/",
    "title": "SECRETTITLE",
    "artist": "SECRETARTIST",
    "comment": "SECRETCOMMENT",
    "encoder": "SECRETENCODER",
}
_COVER = 1024
"""FFmpeg's flag of a stream that is a cover."""
_EXPERIMENTAL = {"vorbis": {"strict": "experimental"}}
_LAYOUT = {"vorbis": "stereo"}
"""What FFmpeg's own encoders need; others are mono."""
_RATE = 10
"""Pictures a second."""

_FRAGMENTS = {"movflags": "empty_moov", "frag_duration": "500000"}
_EDITED_FRAGMENTS = {"movflags": "empty_moov+delay_moov", "frag_duration": "500000"}
FILMS: dict[str, Callable[[], bytes]] = {
    "edited": lambda: _film({}),
    "edited_late": lambda: _film({}, late=1),
    "unedited": lambda: _film({"use_editlist": "0"}),
    "fragments": lambda: _film(_FRAGMENTS),
    "fragments_late": lambda: _film(_FRAGMENTS, late=1),
    "fragments_edited": lambda: _film(_EDITED_FRAGMENTS),
    "fragments_edited_late": lambda: _film(_EDITED_FRAGMENTS, late=1),
    "fragments_behind_samples": lambda: _film({"frag_duration": "500000"}),
    "fragments_behind_samples_late": lambda: _film({"frag_duration": "500000"}, late=1),
}
"""MP4 whose pictures are shown in another order than they are decoded in (B-frames), or begin after the sounds."""


def _film(options: dict[str, str], late: float = 0) -> bytes:
    return recorded("mp4", video="libx264", audio="aac", late=late, options=options)


def recorded(
    form: str,
    *,
    video: str | None = None,
    audio: str | None = None,
    seconds: float = 2,
    rate: int = 44_100,
    late: float = 0,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return a file of `form` (FFmpeg's name) with a moving picture, a tone, or both.

    The pictures begin `late` seconds after the sounds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording"
        _record(path, form, options or {}, video, audio, seconds, rate, late)
        return path.read_bytes()


def _record(  # noqa: PLR0917 - as they are given to `recorded`
    path: Path,
    form: str,
    options: dict[str, str],
    video: str | None,
    audio: str | None,
    seconds: float,
    rate: int,
    late: float,
) -> None:
    with av.open(path, "w", format=form, options=options) as container:
        container.metadata.update(METADATA)
        streams: list[tuple[Any, Iterator[Any]]] = []
        if video is not None:
            pictures: Any = container.add_stream(video, rate=_RATE)
            pictures.width, pictures.height = 64, 48
            pictures.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
            streams.append((pictures, _pictures(seconds, late)))
        if audio is not None:
            sound: Any = container.add_stream(
                audio, rate=rate, options=_EXPERIMENTAL.get(audio, {}), layout=_LAYOUT.get(audio, "mono")
            )
            streams.append((sound, _sounds(sound, seconds, rate)))
        for stream, _ in streams:
            stream.metadata.update({"handler_name": "SECRETHANDLER", "title": "SECRETTITLE", "language": "nld"})
        for stream, frames in streams:
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def telemetry(*, header_first: bool, brand: bytes, kind: bytes) -> bytes:
    """Return a film as action cameras and phones write it: its header is at its beginning or at its end.

    Three tracks of positions lie between its pictures and sounds, in samples of a `kind`; a fourth has the time.
    """
    options = {"movflags": "faststart"} if header_first else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(path, "w", format="mp4", options=options) as container:
            container.metadata.update(METADATA | {"timecode": "07:08:09:00"})
            _record_telemetry(container)
        content = path.read_bytes().replace(b"gpmd", kind)
    return content[:8] + brand + content[12:]


def _record_telemetry(container: OutputContainer) -> None:
    pictures: Any = container.add_stream("libx264", rate=_RATE)
    pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
    sound: Any = container.add_stream("aac", rate=44_100, layout="mono")
    tracks: list[Any] = [container.add_data_stream("bin_data") for _ in range(3)]
    for track in tracks:
        track.metadata["handler_name"] = "SECRETHANDLER"
    sounds = _sounds(sound, 2, 44_100)
    for frame in _pictures(2, 0):
        container.mux(pictures.encode(frame))
        container.mux([packet for each in islice(sounds, 5) for packet in sound.encode(each)])
        for track in tracks:
            place: Any = Packet(b"GPS N52.0116 E4.3571 SECRETPLACE")
            place.stream, place.pts, place.dts, place.time_base = track, frame.pts, frame.pts, frame.time_base
            container.mux(place)
    container.mux(pictures.encode(None))
    container.mux([packet for each in sounds for packet in sound.encode(each)])
    container.mux(sound.encode(None))


def _pictures(seconds: float, late: float) -> Iterator[VideoFrame]:
    for number in range(round(seconds * _RATE)):
        frame = VideoFrame(64, 48, "yuv420p")
        for plane, value in zip(frame.planes, (number * 9 % 256, 90, 200), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts = number + round(late * _RATE)
        frame.time_base = Fraction(1, _RATE)
        yield frame


def _sounds(stream: Any, seconds: float, rate: int) -> Iterator[AudioFrame]:  # noqa: ANN401 - PyAV's stream
    samples = [round(9000 * math.sin(number * 440 * 2 * math.pi / rate)) for number in range(round(seconds * rate))]
    resampler = av.AudioResampler(format=stream.format, layout=stream.layout, rate=rate)
    stream.codec_context.open(strict=False)
    size = stream.codec_context.frame_size or 1024
    fifo = av.AudioFifo()
    for place in range(0, len(samples), 4096):
        part = samples[place : place + 4096]
        frame = AudioFrame("s16", "mono", len(part))
        frame.planes[0].update(struct.pack(f"<{len(part)}h", *part))
        frame.sample_rate, frame.pts, frame.time_base = rate, place, Fraction(1, rate)
        for each in resampler.resample(frame):
            fifo.write(each)
        while (whole := fifo.read(size)) is not None:
            yield whole
    if (rest := fifo.read(size, partial=True)) is not None:
        yield rest


def decoded(content: bytes) -> list[bytes]:
    """Return the pixels and samples of all pictures and sounds in a file, but of no cover."""
    found: list[bytes] = []
    for index in _played(content):
        with av.open(io.BytesIO(content), "r") as container:
            for frame in container.decode(container.streams[index]):
                assert isinstance(frame, AudioFrame | VideoFrame)
                found.append(b"".join(bytes(plane) for plane in frame.planes))
    return found


def _played(content: bytes) -> list[int]:
    """Return the indexes of all streams of pictures and sounds, but of no cover."""
    with av.open(io.BytesIO(content), "r") as container:
        return [
            stream.index
            for stream in container.streams
            if stream.type in {"video", "audio"} and not int(stream.disposition) & _COVER
        ]


def tags(content: bytes) -> dict[str, str]:
    """Return what FFmpeg finds of metadata: of the file, its streams and its chapters."""
    with av.open(io.BytesIO(content), "r") as container:
        found = dict(container.metadata)
        for stream in container.streams:
            found |= stream.metadata
        for chapter in container.chapters():
            found |= chapter["metadata"]
    return found


def seconds(content: bytes) -> float:
    """Return how long the sounds and pictures in a file play, decoded."""
    with av.open(io.BytesIO(content), "r") as container:
        frames = list(container.decode(container.streams[0]))
        return sum(
            frame.samples / frame.sample_rate if isinstance(frame, AudioFrame) else 1 / _RATE for frame in frames
        )


def shown(content: bytes) -> float:
    """Return how long a file plays: from its first picture or sound to its last one, with edit lists.

    A picture that does not say how long it lasts does so as long as the one before.
    """
    begins: list[float] = []
    ends: list[float] = []
    for index in _played(content):
        with av.open(io.BytesIO(content), "r") as container:
            frames: list[Any] = list(container.decode(container.streams[index]))
        begins.append(frames[0].time)
        if isinstance(frames[0], AudioFrame):
            ends.append(begins[-1] + sum(frame.samples / frame.sample_rate for frame in frames))
        else:
            ends.append(2 * frames[-1].time - frames[-2].time)
    return max(ends) - min(begins)
