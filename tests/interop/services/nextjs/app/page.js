'use client';

// app/page.js: signs in with a cookie, stays signed in, and calls the route handler.

import { createClient } from '@ratchet-auth/client';
import { useSession } from '@ratchet-auth/client/react';
import { useState } from 'react';

// Next.js also runs this file on the server, to render the first HTML. There is no `location` there, and
// nobody is signed in. The client does nothing until `useSession` runs in a browser.
const client = createClient({
  baseUrl: process.env.NEXT_PUBLIC_RATCHET ?? 'http://localhost:9000',
  origins: typeof location === 'undefined' ? [] : [location.origin],
});

export default function Page() {
  const { status, user } = useSession(client);
  const [answer, setAnswer] = useState();
  const [error, setError] = useState();

  async function signIn(event) {
    event.preventDefault();
    const { name, password } = Object.fromEntries(new FormData(event.currentTarget));
    setError(undefined);
    await client.signIn({ name, password }).catch(setError);
  }

  async function ask() {
    // A path alone would mean a path of the token service.
    const response = await client.fetch(new URL('/api/whoami', location.origin));
    setAnswer(await response.json());
  }

  if (status === 'unknown') return <p>One moment …</p>;
  if (status === 'signed_out') {
    return (
      <form onSubmit={signIn}>
        <label>Name <input name="name" autoComplete="username" required /></label>
        <label>Password <input name="password" type="password" autoComplete="current-password" required /></label>
        <button>Sign in</button>
        {error && <p role="alert">{error.message}</p>}
      </form>
    );
  }
  return (
    <main>
      <h1>Welcome, {user.name}</h1>
      <button onClick={ask}>Who am I?</button>
      {answer && <p>The handler knows you as <code>{answer.sub}</code>.</p>}
      <button onClick={() => client.signOut()}>Sign out</button>
    </main>
  );
}
