"""What the people in the screenshots show each other: files that they send, and what their cameras see."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import FilePayload, Page

from tests.e2e.pictures import png

DRAWINGS = Path(__file__).parent / "drawings"

# A camera that sees a drawing, as large as its width and height, and a microphone that hears nothing.
CAMERA = """
async ([drawing, width, height]) => {
  const scene = new Image();
  scene.src = `data:image/svg+xml,${encodeURIComponent(drawing)}`;
  await scene.decode();
  const scale = Math.max(width / scene.width, height / scene.height);
  const [wide, high] = [scene.width * scale, scene.height * scale];
  navigator.mediaDevices.getUserMedia = async ({ video }) => {
    const { stream } = new AudioContext().createMediaStreamDestination();
    if (!video) return stream;
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    const [track] = canvas.captureStream().getVideoTracks();
    track.contentHint = 'detail'; // as large as it is from the first picture on
    const frames = setInterval(() => {
      if (track.readyState === 'ended') clearInterval(frames);
      context.drawImage(scene, (width - wide) / 2, (height - high) / 2, wide, high);
    }, 50);
    stream.addTrack(track);
    return stream;
  };
}
"""

# There is a picture, no smaller than the camera's.
SEES = """
([width, height]) => {
  const video = document.querySelector('[data-testid="remote-video"]:not(.unseen)');
  return video?.videoWidth === width && video.videoHeight === height;
}
"""


async def give_camera(page: Page, drawing: str, width: int, height: int) -> None:
    """From now on the page's camera sees this drawing."""
    await page.evaluate(CAMERA, [(DRAWINGS / drawing).read_text(), width, height])


async def sees(page: Page, width: int, height: int) -> None:
    """The other's picture is there, and as large as their camera takes it."""
    await page.wait_for_function(SEES, arg=[width, height])


def seaside() -> bytes:
    """A picture to send: the ocean before breakfast."""
    width, height, horizon, sun = 480, 300, 180, (330, 165, 34)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            shine = abs(x - sun[0]) < 40 + (y - horizon) // 2 and (x // 24 + y // 5) % 3 == 0
            if y < horizon and (x - sun[0]) ** 2 + (y - sun[1]) ** 2 < sun[2] ** 2:
                pixels += bytes((255, 226, 150))
            elif y < horizon:
                pixels += bytes((120 + 130 * y // horizon, 150 + 40 * y // horizon, 210 - 50 * y // horizon))
            elif shine:
                pixels += bytes((250, 205, 150))
            else:
                depth = y - horizon
                pixels += bytes((70 - depth // 3, 110 - depth // 3, 150 - depth // 3))
    return png(width, bytes(pixels))


FILES: tuple[FilePayload, ...] = (
    {"name": "before breakfast.png", "mimeType": "image/png", "buffer": seaside()},
    {"name": "timetable.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4\n" + bytes(245_000)},
)
