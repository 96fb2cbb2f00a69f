//go:build !race

package vectorpart

const raceDetector = false
