/** How a call sounds, in a word, from what getStats tells (webrtc-stats §8). */

export type Quality = 'good' | 'weak';

/** Sums since the call began, except for the round trip. */
export interface Sample {
  received: number;
  lost: number;
  /** Seconds; null when nothing has been measured. */
  roundTrip: number | null;
}

/** From here on words go missing. */
const WEAK_LOSS = 0.06;
/** From here on people talk into each other (ITU-T G.114 gives up at 400 ms one way). */
const WEAK_ROUND_TRIP_S = 0.6;

export function qualityOf(before: Sample, now: Sample): Quality {
  const received = now.received - before.received;
  const lost = Math.max(0, now.lost - before.lost);
  const share = received + lost > 0 ? lost / (received + lost) : 0;
  const slow = now.roundTrip !== null && now.roundTrip > WEAK_ROUND_TRIP_S;
  return slow || share > WEAK_LOSS ? 'weak' : 'good';
}
