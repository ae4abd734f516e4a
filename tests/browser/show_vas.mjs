// SPDX-License-Identifier: BSL-1.0
// The page of show_vas in a headless Chromium: it renders within a second, zoom, search and filter work, no console error, no request.
// Usage: node show_vas.mjs PAGE.html [SCREENSHOTS]; finds playwright-core as Node does (NODE_PATH too).
import {createRequire} from 'node:module';
import process from 'node:process';

const require = createRequire(process.env.PLAYWRIGHT_FROM || import.meta.url);
const {chromium} = require('playwright-core');
const [file, pictures] = process.argv.slice(2);
let passed = 0, failed = 0;
function check(name, right, found) {
  if (right) { ++passed; console.log(`PASS browser: ${name}`); } else { ++failed; console.log(`FAIL browser: ${name}: found ${JSON.stringify(found)}`); }
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']});
try {
  const page = await browser.newPage({viewport: {width: 1200, height: 900}, colorScheme: 'light'});
  const complaints = [], requests = [];
  page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('request', request => requests.push(request.url()));
  page.on('dialog', dialog => { complaints.push('dialog: ' + dialog.message()); dialog.dismiss(); });
  const begun = performance.now();
  await page.goto('file://' + file);
  await page.waitForSelector('.row');
  const opened = performance.now() - begun;
  console.log(`opened in ${opened.toFixed(0)} ms`);
  check('it opens within a second', opened < 1000, opened);
  check('rows are drawn', await page.locator('.row').count() > 10);
  if (pictures) await page.screenshot({path: pictures + '/light.png'});

  const shown = () => page.locator('#zoomed').textContent();
  const all = await shown();
  const target = page.locator('.row', {hasText: 'main_stack'}).first();
  await page.fill('#search', 'main_stack');
  check('search finds a class', (await shown()).includes('found') && !(await shown()).startsWith('nothing'), await shown());
  await target.hover();
  check('hovering tells the facts', /evidence/.test(await page.locator('#facts').textContent()), await page.locator('#facts').textContent());
  if (pictures) await page.screenshot({path: pictures + '/search.png'});
  const clicked = performance.now();
  await target.dblclick();
  const zoomed = await shown();
  check('a double click zooms in', zoomed !== all && zoomed.includes('from 0x'), zoomed);
  check('it responds within a second', performance.now() - clicked < 1000, performance.now() - clicked);
  if (pictures) await page.screenshot({path: pictures + '/zoomed.png'});
  await page.click('#out');
  check('zoom out widens', await shown() !== zoomed, await shown());
  await page.click('#all');
  check('all brings everything back', (await shown()) === all, [await shown(), all]);

  const text = await page.locator('.row', {hasText: /^0x[0-9a-f]+heap/}).first();
  await page.fill('#search', 'heap');
  const address = (await text.locator('.address').textContent()).trim();
  await page.fill('#search', '0x' + (BigInt(address) - 1n).toString(16));
  check('search finds an address', await page.locator('.row.hit', {hasText: 'heap'}).count() === 1, address);
  await page.fill('#search', 'nothing is called so');
  check('what is not there is not found', (await shown()) === 'nothing found', await shown());
  await page.fill('#search', '');

  await page.click('#all');
  const before = Number((await shown()).split(' ')[0]);
  await page.click('input[data-kind=gap]');
  check('a class can be left out', Number((await shown()).split(' ')[0]) < before, await shown());
  await page.click('#none');
  check('all classes can be left out', (await shown()).startsWith('0 ranges'), await shown());
  await page.click('#every');
  await page.click('#theme');
  check('dark and light', await page.evaluate(() => document.documentElement.dataset.theme) === 'dark');
  if (pictures) await page.screenshot({path: pictures + '/dark.png'});
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  check('all rows are printed', await page.locator('.row').count() === before, await page.locator('.row').count());
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  check('no name became an element', await page.evaluate(() => document.scripts.length) === 2);
  check('no error, no dialog', complaints.length === 0, complaints);
  check('no request but the file', requests.every(r => r.startsWith('file://') || r.startsWith('data:')), requests);
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exit(failed ? 1 : 0);
