// SPDX-License-Identifier: BSL-1.0
// The page of user_stacks --flamegraph: node flame_graph.mjs PAGE.html deep|hostile|dark, started by flame_graph.py.
import {open} from './page.mjs';
import process from 'node:process';

const [file, what] = process.argv.slice(2);
const {page, check, picture, close} = await open(file, {drawn: '#graph div', colorScheme: what === 'dark' ? 'dark' : 'light'});
const told = () => page.locator('#told').textContent();
const matched = () => page.locator('#matched').textContent();
const bars = page.locator('#graph div');
const bar = text => bars.filter({hasText: text}).first();
const box = text => bar(text).boundingBox();
const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

if (what === 'deep') {
  check('the title says what it is of', /^Process \d+: \d+ stacks, 3 looks every 20 ms$/.test(await page.title()), await page.title());
  const widths = await page.evaluate(() => root.c.reduce((sum, c) => sum + c.w, 0) === root.w);
  check('the threads add up to the whole', widths, widths);
  const everything = await bars.count();
  check('calls are drawn', everything > 20, everything);
  const thread = await box('kind-1'), whole = await bars.first().boundingBox();
  check('ten of eleven threads take ten elevenths', Math.abs(thread.width / whole.width - 10 / 11) < 0.02, [thread, whole]);
  const callee = await box('start_thread');
  check('what is called stands below its caller, no wider', callee.y > thread.y && callee.width <= thread.width + 1, [thread, callee]);
  const all = await page.evaluate(() => { const seen = [...document.querySelectorAll('#graph div')].map(d => d.getBoundingClientRect());
    return seen.every(a => a.right <= innerWidth && a.left >= 0) && seen.every((a, i) => seen.every((b, k) => i === k || a.top !== b.top
      || a.right <= b.left + 1 || b.right <= a.left + 1)); });
  check('no bar covers another or leaves the page', all, all);
  await picture('flame-light');

  await bar('deep_through_library').hover();
  check('hovering tells name and share', /deep_through_library.*: 30 of 33 \(90\.9 %\)/.test(await told()), await told());
  await page.fill('#search', 'DEEP_through');
  check('search tells the share once for nested calls', (await matched()) === '30 of 33 (90.9 %) match', await matched());
  check('what is found is marked', await page.locator('#graph div.found').count() >= 7, await page.locator('#graph div.found').count());
  await picture('flame-search');
  await page.fill('#search', 'nothing is called so');
  check('what is not there is not found', (await matched()) === 'nothing matches', await matched());
  await page.fill('#search', '');

  await bar('start_thread').click();
  const zoomed = await box('start_thread');
  check('a click zooms in', Math.abs(zoomed.width - whole.width) < 2 && await page.locator('#graph div.above').count() >= 2, zoomed);
  check('and leaves the others out', await bars.filter({hasText: 'main'}).filter({hasNotText: 'thread_main'}).count() === 0);
  await picture('flame-zoomed');
  await page.keyboard.press('Escape');
  check('Escape zooms out by one', await page.locator('#graph div.above').count() < 3 && (await told()).includes(':'), await told());
  await page.click('#all');
  check('all comes back', await bars.count() === everything, await bars.count());
  await bar('kind-1').focus();
  await page.keyboard.press('Enter');
  check('the keyboard zooms too', Math.abs((await box('kind-1')).width - whole.width) < 2);
  await page.click('#out');

  const light = await paper();
  await page.click('#theme');
  check('dark and light', await paper() !== light, [light, await paper()]);
  await picture('flame-toggled');
  await page.setViewportSize({width: 500, height: 700});
  await page.evaluate(() => new Promise(drawn => requestAnimationFrame(() => setTimeout(drawn))));
  const narrow = await page.evaluate(
    () => Math.max(...[...document.querySelectorAll('#graph div')].map(d => d.getBoundingClientRect().right)));
  check('it fits a narrow window', narrow > 100 && narrow <= 500, narrow);
} else if (what === 'dark') {
  check('dark where the system is', await page.evaluate(() => document.documentElement.dataset.theme) === 'dark');
  const [r] = (await paper()).match(/\d+/g).map(Number);
  check('the paper is dark', r < 64, await paper());
  await picture('flame-dark');
} else {
  check('no name became an element', await page.evaluate(() => document.scripts.length) === 2
    && await page.locator('img, b').count() === 0);
  check('hostile names are shown as text', (await bars.allTextContents()).some(t => t.includes('</script>')), await bars.allTextContents());
}
await close();
