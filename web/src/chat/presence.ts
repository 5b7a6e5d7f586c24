/** What the partner does, in a word, as far as it can be known here. */
import type { Call } from './call';
import { connectionOf, type State } from './state';

export type PartnerState = 'here' | 'typing' | 'away' | 'reloaded' | 'inCall' | 'unknown' | 'gone';

/** The partner's state; of our own connection it says only that nothing is known without one. */
export function partnerState(state: State, call: Call['at']): PartnerState | null {
  const { conversation } = state;
  if (!conversation) return null;
  if (conversation.ending) return 'gone';
  // Sound and pictures come from them, whatever becomes of the server.
  if (call === 'active' && !conversation.partnerTyping && !conversation.partnerReloaded)
    return 'inCall';
  if (connectionOf(state) !== 'connected' || conversation.restoring) return 'unknown';
  if (conversation.partnerAway) return 'away';
  if (conversation.partnerReloaded) return 'reloaded';
  return conversation.partnerTyping ? 'typing' : 'here';
}
