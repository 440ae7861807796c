// Runs before the first paint, and only for those whose theme follows the device: the server cannot know which that is.
document.documentElement.dataset.bsTheme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
