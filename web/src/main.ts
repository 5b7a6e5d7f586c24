import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { loadConversation, loadOutside } from './components/later';
import { followHistory } from './shell/overlays';
import { ahead } from './shell/parts';
import { Passerby } from './shell/passerby.svelte';
import { load } from './shell/storage';
import { claimTab } from './shell/tab';
import { followViewport } from './shell/viewport';
import { begin } from './words/spoken.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');

async function open(target: HTMLElement): Promise<void> {
  // What is probably shown first comes together with the words.
  const first = load()?.room ? loadConversation : loadOutside;
  const [spoken] = await Promise.all([begin(), claimTab(), ahead(first)]);
  if (!spoken) {
    document.getElementById('unloaded')?.removeAttribute('hidden');
    return;
  }
  const passerby = new Passerby();
  followHistory();
  followViewport();
  passerby.boot();
  mount(App, { target, props: { passerby } });
}

void open(target);
