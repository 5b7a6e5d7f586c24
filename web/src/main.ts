import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { Passerby } from './shell/passerby.svelte';
import { followViewport } from './shell/viewport';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');

const passerby = new Passerby();
followViewport();
passerby.boot();
mount(App, { target, props: { passerby } });
