/** Reads how a call goes (webrtc-stats: inbound-rtp, candidate-pair). */
import { qualityOf, type Quality, type Sample } from '../chat/quality';
import type { Peer } from './peer';

const EVERY_MS = 2000;

interface Inbound {
  type: 'inbound-rtp';
  packetsReceived?: number;
  packetsLost?: number;
}
interface Pair {
  type: 'candidate-pair';
  nominated?: boolean;
  state?: string;
  currentRoundTripTime?: number;
}

function sampleOf(report: RTCStatsReport): Sample {
  const sample: Sample = { received: 0, lost: 0, roundTrip: null };
  report.forEach((entry: Inbound | Pair | { type: 'other' }) => {
    if (entry.type === 'inbound-rtp') {
      sample.received += entry.packetsReceived ?? 0;
      sample.lost += entry.packetsLost ?? 0;
    } else if (entry.type === 'candidate-pair' && entry.nominated && entry.state === 'succeeded') {
      sample.roundTrip = entry.currentRoundTripTime ?? null;
    }
  });
  return sample;
}

/** Tell the quality of `peer` from time to time; the result ends that. */
export function watchQuality(peer: Peer, tell: (quality: Quality) => void): () => void {
  let before: Sample | null = null;
  const clock = setInterval(() => {
    peer
      .stats()
      .then((report) => {
        const now = sampleOf(report);
        if (before) tell(qualityOf(before, now));
        before = now;
      })
      .catch(() => undefined);
  }, EVERY_MS);
  return () => {
    clearInterval(clock);
  };
}
