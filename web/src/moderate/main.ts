import { mount } from 'svelte';
import '../app.css';
import './moderate.css';
import App from './App.svelte';
import { Office } from './office.svelte';
import { begin } from './words/spoken.svelte';

async function open(): Promise<void> {
  const target = document.getElementById('console');
  if (!target || !(await begin())) {
    document.getElementById('unloaded')?.removeAttribute('hidden');
    return;
  }
  const office = new Office();
  office.begin();
  mount(App, { target, props: { office } });
}

void open();
