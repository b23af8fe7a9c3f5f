import { describe, expect, it, vi } from 'vitest';

import { leases } from '../src/leases.js';
import { afterPassing, baseUrl, ending, generations, named, pass, report, service, shelf, signedInTab, soon, tab } from './world.js';

describe('tabs', () => {
  it.each(['nothing', 'leases'])('that expire at the same moment refresh once if they take turns (%s)', async (means) => {
    const lease = () => (means === 'leases' ? ending(leases()) : oneAtATime);
    const first = await signedInTab({ locks: lease() });
    const second = tab({ locks: lease() });
    await second.resume();
    const third = tab({ locks: lease() });
    await third.resume();
    expect(service.requests).toEqual([]);
    // The clock is not hurried: messages between tabs take real time.
    const refreshed = await Promise.all([first.refresh(), second.refresh(), third.refresh()]);
    expect(refreshed.map(named)).toEqual(['access-1', 'access-1', 'access-1']);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('that do not take turns end up with the same session', async () => {
    const first = await signedInTab({ locks: null });
    const second = tab({ locks: null });
    await second.resume();
    await Promise.all([first.refresh(), second.refresh()]);
    await soon(() => expect(second.session).toEqual(first.session));
    expect(service.ended).toBeUndefined();
  });

  it('hear that another one has signed out', async () => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    const heard = report(second);
    await afterPassing(1_000, first.signOut());
    await soon(() => expect(heard).toEqual(['signed_out ada signed_out']));
    expect(service.ended).toBe('revoked');
  });

  it('hear it even if the clock was set back meanwhile', async () => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    vi.setSystemTime(Date.now() - 60_000);
    await afterPassing(1_000, first.signOut());
    await soon(() => expect(second.session).toBeNull());
  });

  it('hear that another user has signed in, and whose session that replaced', async () => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    const heard = report(first);
    await pass(1_000);
    await second.signIn({ name: 'grace', password: 'right' });
    await soon(() => expect(heard).toEqual(['user_changed grace access-0, before ada']));
    expect(first.session).toEqual(second.session);
  });

  it('take turns by Web Locks where there are any', async () => {
    const names: string[] = [];
    const locks = {
      request: <T>(name: string, work: () => Promise<T>) => {
        names.push(name);
        return work();
      },
    };
    const one = await signedInTab({ locks });
    await one.refresh();
    expect(names).toHaveLength(2);
    expect(new Set(names).size).toBe(1);
  });

  it('do not share a session with those of another service or mode', async () => {
    await signedInTab();
    for (const other of [tab({ baseUrl: `${baseUrl()}/other` }), tab({ mode: 'cookie' })]) {
      service.ended = 'revoked';
      expect(await other.resume()).toBeNull();
    }
  });

  it('before resuming sign out of the session that another tab has', async () => {
    await signedInTab();
    // The clock is not hurried: messages between tabs take real time.
    await tab().signOut();
    expect(service.ended).toBe('revoked');
  });

  it('do not bring back a session whose end they have heard of', async () => {
    const channel = ending(new BroadcastChannel(`ratchet:${baseUrl()}:token`));
    const one = await signedInTab();
    const word = { session: one.session, about: one.session!.claims.sid, at: 0 };
    await one.signOut();
    // A tab that was slow, and whose clock is ahead.
    channel.postMessage({ ...word, at: Date.now() + 3_600_000 });
    await answered(channel);
    expect(one.session).toBeNull();
  });

  it('prefer the newer sign-in to the later answer', async () => {
    const channel = ending(new BroadcastChannel(`ratchet:${baseUrl()}:token`));
    const one = await signedInTab();
    const ada = one.session!;
    await pass(2_000);
    await one.signIn({ name: 'grace', password: 'right' });
    channel.postMessage({
      session: ada, about: ada.claims.sid, at: Date.now() + 3_600_000,
    });
    await answered(channel);
    expect(one.session?.user.name).toBe('grace');
  });

  it('use the newest token, whether the storage or another tab has it', async () => {
    const storage = shelf();
    const first = await signedInTab({ storage });
    const second = tab({ storage });
    await second.resume();
    for (const [each, other] of [[second, first], [first, second], [second, first]] as const) {
      await each.refresh();
      await soon(() => expect(other.session).toEqual(each.session));
    }
    expect(generations(service.presented)).toEqual([0, 1, 2]);
  });
});

/** Asks the tabs, and waits until one has answered: it has heard what was said before, too. */
async function answered(channel: BroadcastChannel) {
  channel.postMessage(null);
  await new Promise<void>((resolve) => (channel.onmessage = ({ data }) => data && resolve()));
}

/** Web Locks, as far as one process goes. */
let last: Promise<unknown> = Promise.resolve();
const oneAtATime = {
  request: <T>(_name: string, work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  },
};
