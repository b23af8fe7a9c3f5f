// All tests in one process, so that they share one stack and one browser.

import './clients.js';
import './library.js';
import './dpop.js';
import './page.js';
import './account.js';
import './second-factor.js';
import './passkeys.js';
import './passkey-attacks.js';
import './demonstration.js';
import './origins.js';
import './reference.js';
import './react.js';
