/** What becomes of reports and bans: the part of the HTTP contract that few guests need. */
import type { AppealStatus, ReportStatus } from '../wire/types';
import { request } from './api';

function post<T>(path: string, body: object): Promise<T> {
  return request('POST', path, {
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
}

export function reportStatus(receipt: string): Promise<ReportStatus> {
  return post('reports/status', { receipt });
}

export function appealStatus(code: string): Promise<AppealStatus> {
  return post('appeals/status', { code });
}

export function appeal(code: string, words: string): Promise<AppealStatus> {
  return post('appeals', { code, words });
}
