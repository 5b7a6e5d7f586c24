/** The components that are loaded when they are needed. */

export const loadConversation = (): Promise<typeof import('./Conversation.svelte')> =>
  import('./Conversation.svelte');

export const loadCallArea = (): Promise<typeof import('./call/CallArea.svelte')> =>
  import('./call/CallArea.svelte');

export const loadFullView = (): Promise<typeof import('./FullView.svelte')> =>
  import('./FullView.svelte');

export const loadRecordingBar = (): Promise<typeof import('./RecordingBar.svelte')> =>
  import('./RecordingBar.svelte');
