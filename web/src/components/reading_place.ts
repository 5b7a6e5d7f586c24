/** Where somebody was reading when they moved on, should they come back: of the last conversation alone. */

let left: { room: string; top: number } | null = null;

/** How far the list of `room` was scrolled when it was left; null: to its end, or it is another one. */
export function placeIn(room: string): number | null {
  return left?.room === room ? left.top : null;
}

/** `room` is left; `top` is null at the end. */
export function leavePlace(room: string, top: number | null): void {
  left = top === null ? null : { room, top };
}
