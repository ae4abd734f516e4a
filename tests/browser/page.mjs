// SPDX-License-Identifier: BSL-1.0
// What the checks of pages share: a page in a headless Chromium of which every complaint and every request is kept, and cases that are
// counted as the test programs count theirs. browser.py starts the checks and says where Chromium and playwright-core are:
//   import {open} from './page.mjs';
//   const {page, check, close} = await open(process.argv[2]);
//   check('it has rows', await page.locator('.row').count() > 0, 'nothing');
//   await close();
import {createRequire} from 'node:module';
import {mkdirSync} from 'node:fs';
import {join} from 'node:path';
import process from 'node:process';

const require = createRequire(join(process.env.TASKPEEK_PLAYWRIGHT || '.', 'from.js'));
const {chromium} = require('playwright-core');

/// Opens the file and waits for the element that `drawn` selects. Pictures go into the folder $TASKPEEK_PICTURES, if it is set.
export async function open(file, {drawn = 'body *', viewport = {width: 1200, height: 900}, colorScheme = 'light'} = {}) {
  const count = {passed: 0, failed: 0}, complaints = [], requests = [];
  const check = (name, right, found) => {
    ++count[right ? 'passed' : 'failed'];
    if (!right) console.log(`FAIL ${name}: found ${JSON.stringify(found)}`);
  };
  const browser = await chromium.launch({
    executablePath: process.env.TASKPEEK_CHROMIUM || '/usr/bin/chromium',
    // root has no sandbox of Chromium's, and the only page opened is our own file
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
           '--disable-component-update', '--disable-sync']});
  const page = await browser.newPage({viewport, colorScheme});
  page.setDefaultTimeout(60_000);
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('dialog', dialog => { complaints.push('dialog: ' + dialog.message()); dialog.dismiss(); });
  page.on('request', request => requests.push(request.url()));
  await page.goto('file://' + file);
  await page.waitForSelector(drawn);

  /// How long the page itself is busy with what `act` does there, until the next frame is drawn, in ms of its own clock.
  const busy = act => page.evaluate(source => new Promise(done => {
    const begun = performance.now();
    new Function(source)();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)));
  }), act);
  const picture = async name => {
    if (!process.env.TASKPEEK_PICTURES) return;
    mkdirSync(process.env.TASKPEEK_PICTURES, {recursive: true});
    await page.screenshot({path: join(process.env.TASKPEEK_PICTURES, name + '.png')});
  };
  /// The last cases, and the count.
  const close = async () => {
    check('no error, no warning, no dialog', complaints.length === 0, complaints);
    check('no request but the file', requests.every(r => r.startsWith('file://') || r.startsWith('data:')), requests);
    await browser.close();
    console.log(`${count.passed} passed, ${count.failed} failed, 0 skipped`);
    process.exitCode = count.failed ? 1 : 0;
  };
  return {page, check, busy, picture, close};
}
