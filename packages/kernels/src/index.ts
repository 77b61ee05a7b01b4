export { type Trend, trendOf } from './trend/trend.ts'
