// Starts everything that every page has. The server joins this file and what it imports into one (app/pages/assets.py).

import { startActions } from "./actions.js";
import { startCodes } from "./codes.js";
import { startCredentials } from "./credentials.js";
import { startDialogs } from "./dialogs.js";
import { showForm, startForms } from "./forms.js";
import { startKeys } from "./keys.js";
import { startLive, want } from "./live.js";
import { startMessages } from "./messages.js";
import { startPickers } from "./picker.js";
import { startPlans } from "./plan.js";
import { startPreferences } from "./prefs.js";
import { startPresets } from "./presets.js";
import { startSecrets } from "./secrets.js";
import { startSignedOut } from "./signed_out.js";
import { startStill } from "./still.js";
import { startStudies } from "./studies.js";
import { startTables } from "./tables.js";
import { startTextFiles } from "./textfile.js";
import { startTicket } from "./ticket.js";

startPreferences();
startStill();
startSecrets();
startCodes();
startDialogs();
startSignedOut();
startForms();
startActions();
startCredentials();
startPickers();
startTables();
startKeys();
startPlans();
startPresets();
startTicket();
startTextFiles();
startStudies();
startMessages();
startLive();
document.querySelectorAll("form").forEach(showForm);
document.querySelectorAll(".tabs [aria-current]").forEach(showTab);
window.tandem = { want };

// A list that one's own write changed fetches itself afresh.
document.body.addEventListener("htmx:responseError", () => {
  document.getElementById("offline")?.removeAttribute("hidden");
});

// A tab that was chosen is in sight; the one that a room begins with is so sideways alone: the room begins at its top.
function showTab(tab) {
  if (location.search) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  else tab.parentElement.scrollLeft += tab.getBoundingClientRect().right - tab.parentElement.getBoundingClientRect().right;
}
