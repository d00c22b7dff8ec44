"use strict";
// Values of a latent.
