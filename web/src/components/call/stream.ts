import type { Attachment } from 'svelte/attachments';

/** Show a stream in the element as long as it is there. */
export function shows(stream: MediaStream | null): Attachment<HTMLVideoElement> {
  return (element) => {
    element.srcObject = stream;
    return () => {
      element.srcObject = null;
    };
  };
}

/** Show one track alone. */
export function showsTrack(track: MediaStreamTrack | null): Attachment<HTMLVideoElement> {
  return shows(track && new MediaStream([track]));
}
