// The console's behaviour, a module for each matter.
import "./choosers.js";
import "./dialogs.js";
import "./forms.js";
import "./idle.js";
import "./keys.js";
import "./lists.js";
import "./live.js";
import "./locks.js";
import "./packages.js";
import "./page.js";
import "./search.js";
import "./sessions.js";
import "./tables.js";
import "./toasts.js";
import "./versions.js";
