import { expect, it } from 'vitest';
import { qualityOf } from './quality';

const BEFORE = { received: 1000, lost: 10, roundTrip: 0.05 };

it.each([
  ['good', { received: 1100, lost: 12, roundTrip: 0.08 }],
  ['weak', { received: 1100, lost: 30, roundTrip: 0.08 }],
  ['weak', { received: 1100, lost: 10, roundTrip: 0.9 }],
  ['good', { received: 1000, lost: 10, roundTrip: null }],
  // A new path counts anew.
  ['good', { received: 50, lost: 0, roundTrip: 0.05 }],
])('is %s', (quality, now) => {
  expect(qualityOf(BEFORE, now)).toBe(quality);
});
